import { useMay, useMe } from "../../api/me.ts";
import { choose, usePreferences } from "../../components/preferences.ts";
import { ExactTime } from "../../components/time/time.tsx";
import { formatExact } from "../../components/time/format-times.ts";
import { useNow } from "../../components/time/clock.ts";
import { Loading } from "../../components/notice.tsx";
import { Card, Page } from "../../components/page.tsx";
import { Tokens } from "./tokens.tsx";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";
import "./settings.css";

/** The signed-in user, the settings of this browser and, for admins, the tokens. */
export default function SettingsPage() {
  const isAdmin = useMay("admin");
  return (
    <Page title={words.title}>
      <div className="grid">
        <WhoAmI />
        <Appearance />
      </div>
      {isAdmin && <Tokens />}
    </Page>
  );
}

function WhoAmI() {
  const me = useMe();
  return (
    <Card title={words.account}>
      {me === undefined ? (
        <Loading rows={4} />
      ) : (
        <dl className="facts card-body">
          <dt>{common.name}</dt>
          <dd>{me.subject}</dd>
          <dt>{words.role}</dt>
          <dd>
            {me.role}
            <p className="muted">{words.roles[me.role]}</p>
          </dd>
          <dt>{common.tenant}</dt>
          <dd>{me.tenant ?? words.allTenants}</dd>
          <dt>{words.validUntil}</dt>
          <dd>
            <ExactTime at={me.expiresAt} absent={words.neverExpires} />
          </dd>
          <dt>{words.server}</dt>
          <dd>{words.version(me.version)}</dd>
        </dl>
      )}
    </Card>
  );
}

function Appearance() {
  const { theme, zone, density } = usePreferences();
  const now = useNow(1_000);
  return (
    <Card title={words.browser}>
      <div className="card-body settings-choices">
        <Choice
          name="theme"
          legend={words.theme}
          options={words.themes}
          value={theme}
          onChange={(chosen) => choose({ theme: chosen })}
        />
        <Choice
          name="density"
          legend={words.density}
          options={words.densities}
          value={density}
          onChange={(chosen) => choose({ density: chosen })}
        />
        <Choice
          name="zone"
          legend={words.times}
          options={words.zones}
          value={zone}
          onChange={(chosen) => choose({ zone: chosen })}
        />
        <p className="muted number">{words.now(formatExact(now, zone))}</p>
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
