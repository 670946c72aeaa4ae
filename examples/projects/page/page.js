// The page of examples/projects: a button, what becomes of it, and what was before. Plain browser code; it asks its own server only.

/** How often a job is asked for while it is on its way (ms). */
const POLL_MS = 1_000;

const element = (id) => document.getElementById(id);
const say = (text) => (element("status").textContent = text);

/** In this tab only, and gone with it. */
let token = sessionStorage.getItem("token");
let projects = [];
/** The job that the page waits for. */
let watched;

async function ask(method, path) {
  const response = await fetch(path, { method, headers: { authorization: `Bearer ${token}` } });
  const body = await response.json();
  if (response.ok) return body;
  const seconds = response.headers.get("retry-after");
  const later = seconds === null ? "" : ` Try again in ${seconds} seconds.`;
  throw Object.assign(new Error(`${body.error.message}${later}`), { status: response.status });
}

/** Does the work; what goes wrong is said. */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (error.status === 401) signOut();
    else idle();
    say(error.message);
  }
}

async function signIn() {
  projects = await ask("GET", "/projects");
  sessionStorage.setItem("token", token);
  const select = element("project");
  const chosen = select.value;
  select.replaceChildren(...projects.map(({ id, name }) => new Option(name ?? `${id} (not read yet)`, id)));
  if (projects.some(({ id }) => id === chosen)) select.value = chosen;
  element("sign-in").hidden = true;
  element("project-section").hidden = projects.length === 0;
  say(projects.length === 0 ? "You have no projects yet." : "");
  if (projects.length > 0) await show();
}

function signOut() {
  token = null;
  watched = undefined;
  sessionStorage.removeItem("token");
  element("sign-in").hidden = false;
  element("project-section").hidden = true;
  element("token").value = "";
  element("token").focus();
  say("");
}

/** Shows the chosen project and its history, and goes on with a job of it that is on its way. */
async function show() {
  const id = element("project").value;
  const project = projects.find((one) => one.id === id);
  element("project-name").textContent = project.name ?? id;
  element("plan").textContent =
    project.plan_file === null
      ? "No plan was found so far."
      : `${project.completed_count} of ${project.task_count} tasks of ${project.plan_file} are done: ${project.progress_percentage} %.`;
  const jobs = await ask("GET", `/projects/${id}/jobs`);
  if (element("project").value !== id) return;
  element("history").replaceChildren(...jobs.map(rowOf));
  const current = jobs.find(({ status }) => status === "queued" || status === "processing");
  if (current === undefined) idle();
  else if (watched !== current.id) await watch(current.id);
}

function rowOf(job) {
  const row = document.createElement("tr");
  const time = (value) => (value === null ? "" : new Date(value).toLocaleString());
  const result =
    job.error ??
    Object.entries(job.result ?? {})
      .map(([key, value]) => `${key.replaceAll("_", " ")}: ${value}`)
      .join(", ");
  for (const text of [job.id, job.type.replaceAll("_", " "), job.status, time(job.created_at), time(job.completed_at), result]) {
    row.insertCell().textContent = text;
  }
  const action = row.insertCell();
  if (job.status === "failed") action.append(button(`Retry job ${job.id}`, () => ask("POST", `/jobs/${job.id}/retry`)));
  if (job.status === "queued" || job.status === "processing") {
    action.append(button(`Cancel job ${job.id}`, () => ask("DELETE", `/jobs/${job.id}`)));
  }
  return row;
}

/** A button that asks for something, says the answer and shows what has become of it. */
function button(label, work) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = label.split(" ")[0];
  made.setAttribute("aria-label", label);
  made.addEventListener("click", () =>
    attempt(async () => {
      made.disabled = true;
      const { message } = await work();
      await signIn();
      say(`${message}.`);
    }),
  );
  return made;
}

function idle() {
  watched = undefined;
  element("refresh").disabled = false;
  element("progress").hidden = true;
}

/** Shows how far a job is until it has ended. */
async function watch(id) {
  watched = id;
  const bar = element("progress");
  element("refresh").disabled = true;
  bar.hidden = false;
  while (watched === id) {
    const { status, progress, error } = await ask("GET", `/jobs/${id}/status`);
    if (watched !== id) return;
    if (status !== "queued" && status !== "processing") {
      idle();
      await signIn();
      say(error === null ? `Job ${id} is ${status}.` : `Job ${id} is ${status}: ${error}`);
      return;
    }
    if (progress.percent === null) bar.removeAttribute("value");
    else bar.value = progress.percent;
    const text = `Job ${id} is ${status}${progress.message === null ? "" : `: ${progress.message}`}.`;
    // Said once, not every second.
    if (element("status").textContent !== text) say(text);
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}

element("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  token = element("token").value.trim();
  void attempt(signIn);
});
element("sign-out").addEventListener("click", signOut);
element("project").addEventListener("change", () => {
  idle();
  say("");
  void attempt(show);
});
element("refresh").addEventListener("click", () =>
  attempt(async () => {
    element("refresh").disabled = true;
    try {
      const { message } = await ask("POST", `/projects/${element("project").value}/refresh`);
      say(`${message}.`);
      await show();
    } finally {
      if (watched === undefined) element("refresh").disabled = false;
    }
  }),
);
if (token !== null) void attempt(signIn);
