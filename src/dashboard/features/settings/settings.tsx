import { useMay, useMe } from "../../api/me.ts";
import { choose, type Preferences, usePreferences } from "../../components/preferences.ts";
import { ExactTime } from "../../components/time/time.tsx";
import { formatExact } from "../../components/time/format-times.ts";
import { useNow } from "../../components/time/clock.ts";
import { Loading } from "../../components/notice.tsx";
import { Card, Page } from "../../components/page.tsx";
import { Tokens } from "./tokens.tsx";
import "./settings.css";

/** Who is signed in, how this browser shows things, and, for admins, the tokens. */
export default function SettingsPage() {
  const isAdmin = useMay("admin");
  return (
    <Page title="Settings">
      <div className="grid">
        <WhoAmI />
        <Appearance />
      </div>
      {isAdmin && <Tokens />}
    </Page>
  );
}

const MAY = {
  viewer: "Reads. Changes nothing.",
  enqueuer: "Enqueues jobs. Reads nothing.",
  operator: "Reads, enqueues, and acts on jobs, queues, schedules and workflows.",
  admin: "Everything, tokens and settings included.",
} as const;

function WhoAmI() {
  const me = useMe();
  return (
    <Card title="You">
      {me === undefined ? (
        <Loading rows={4} />
      ) : (
        <dl className="facts card-body">
          <dt>Name</dt>
          <dd>{me.subject}</dd>
          <dt>Role</dt>
          <dd>
            {me.role}
            <p className="muted">{MAY[me.role]}</p>
          </dd>
          <dt>Tenant</dt>
          <dd>{me.tenant ?? "all of them"}</dd>
          <dt>Valid until</dt>
          <dd>
            <ExactTime at={me.expiresAt} absent="no end is set" />
          </dd>
          <dt>Server</dt>
          <dd>Legwork {me.version}</dd>
        </dl>
      )}
    </Card>
  );
}

const THEMES: Readonly<Record<Preferences["theme"], string>> = { system: "As the system", light: "Light", dark: "Dark" };
const ZONES: Readonly<Record<Preferences["zone"], string>> = { local: "Your zone", utc: "UTC" };

function Appearance() {
  const { theme, zone } = usePreferences();
  const now = useNow(1_000);
  return (
    <Card title="This browser">
      <div className="card-body settings-choices">
        <Choice name="theme" legend="Theme" options={THEMES} value={theme} onChange={(chosen) => choose({ theme: chosen })} />
        <Choice name="zone" legend="Times" options={ZONES} value={zone} onChange={(chosen) => choose({ zone: chosen })} />
        <p className="muted number">It is {formatExact(now, zone)}.</p>
      </div>
    </Card>
  );
}

function Choice<T extends string>({
  name,
  legend,
  options,
  value,
  onChange,
}: {
  name: string;
  legend: string;
  options: Readonly<Record<T, string>>;
  value: T;
  onChange: (chosen: T) => void;
}) {
  return (
    <fieldset className="settings-choice">
      <legend>{legend}</legend>
      {(Object.keys(options) as T[]).map((each) => (
        <label key={each} className="check">
          <input type="radio" name={name} checked={each === value} onChange={() => onChange(each)} />
          {options[each]}
        </label>
      ))}
    </fieldset>
  );
}
