import { Rows2, Rows3 } from "lucide-react";
import { Button } from "../button.tsx";
import { choose, usePreferences } from "../preferences.ts";
import { common } from "../words.ts";

/** Switches all tables between compact and comfortable rows. */
export function DensitySwitch() {
  const { density } = usePreferences();
  const other = density === "compact" ? "comfortable" : "compact";
  return (
    <Button
      kind="quiet"
      className="density-switch"
      aria-label={common.changeDensity[other]}
      title={common.changeDensity[other]}
      icon={density === "compact" ? <Rows2 aria-hidden="true" /> : <Rows3 aria-hidden="true" />}
      onClick={() => choose({ density: other })}
    />
  );
}
