// The page of examples/projects: a refresh button, the progress of the refresh, and the project's history. Plain browser code that calls only its own server.

/** How often the status of an active job is requested (ms). */
const POLL_MS = 1_000;

const element = (id) => document.getElementById(id);
const say = (text) => (element("status").textContent = text);

/** Kept in this tab only, and lost when the tab is closed. */
let token = sessionStorage.getItem("token");
let projects = [];
/** The id of the job that the page is waiting for. */
let watched;

async function ask(method, path) {
  const response = await fetch(path, { method, headers: { authorization: `Bearer ${token}` } });
  const body = await response.json();
  if (response.ok) return body;
  const seconds = response.headers.get("retry-after");
  const later = seconds === null ? "" : ` Try again in ${seconds} seconds.`;
  throw Object.assign(new Error(`${body.error.message}${later}`), { status: response.status });
}

/** Does the work and shows an error message if it fails. */
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

/** Shows the selected project and its history, and watches its active job, if there is one. */
async function show() {
  const id = element("project").value;
  const project = projects.find((one) => one.id === id);
  element("project-name").textContent = project.name ?? id;
  element("plan").textContent =
    project.plan_file === null
      ? "No plan found yet."
      : `${project.plan_file}: ${project.completed_count} of ${project.task_count} tasks done (${project.progress_percentage} %).`;
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

/** Creates a button that sends a request, shows the response and refreshes the page. */
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

/** Shows a job's progress until it has ended. */
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
    // Screen readers announce it once, not every second.
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
