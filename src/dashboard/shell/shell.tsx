import { Command, LogOut, Menu, Monitor, Moon, Search, Sun, X } from "lucide-react";
import { type FormEvent, type ReactNode, useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { useMay, useMe } from "../api/me.ts";
import { signOut } from "../api/session.ts";
import icon from "../icon.svg";
import { choose, usePreferences } from "../components/preferences.ts";
import { menuPathOf, PAGES } from "../router/pages.ts";
import { Button } from "../components/button.tsx";
import { showWholeText } from "../components/whole-text.ts";
import { AwayBanner, LiveSwitch } from "./connection.tsx";
import { EmergencyStop, StoppedBanner } from "./emergency-stop.tsx";
import { useShortcuts } from "./shortcuts.tsx";
import { useTrouble } from "./use-trouble.ts";
import { words } from "./words.ts";

/** The frame of every page: menu, search, signed-in user, state of live updates, and emergency stop. */
export function Shell({ children }: { children: ReactNode }) {
  const [isOpen, setOpen] = useState(false);
  const [path] = useLocation();
  useEffect(() => setOpen(false), [path]);
  const shortcuts = useShortcuts();
  const menuPath = menuPathOf(path);
  useTrouble();
  return (
    <div className="shell" data-menu={isOpen ? "open" : "closed"} onPointerOver={showWholeText}>
      <a className="skip" href="#content" onClick={() => document.querySelector<HTMLElement>("#content")?.focus()}>
        {words.skip}
      </a>
      <nav className="menu" aria-label={words.pages} id="menu">
        <div className="brand">
          <img src={icon} alt="" width="24" height="24" />
          <span>{words.product}</span>
        </div>
        <ul>
          {PAGES.filter(({ label }) => label !== undefined).map((page) => (
            <MenuItem key={page.path} page={page} isCurrent={page.path === menuPath} />
          ))}
        </ul>
        <Who />
      </nav>
      <div className="body">
        <header className="bar">
          <Button
            kind="quiet"
            className="menu-button"
            aria-label={isOpen ? words.closeMenu : words.openMenu}
            aria-expanded={isOpen}
            aria-controls="menu"
            icon={isOpen ? <X aria-hidden="true" /> : <Menu aria-hidden="true" />}
            onClick={() => setOpen(!isOpen)}
          />
          <JobSearch />
          <Button
            kind="quiet"
            icon={<Command aria-hidden="true" />}
            aria-keyshortcuts="Control+K Meta+K"
            title={words.palette.title}
            onClick={shortcuts.showPalette}
          >
            <span className="visually-hidden">{words.palette.title}</span>
            <kbd className="wide-only">{words.paletteKeys.join(" ")}</kbd>
          </Button>
          <div className="bar-end">
            <LiveSwitch />
            <ZoneSwitch />
            <ThemeSwitch />
            <EmergencyStop />
          </div>
        </header>
        <div className="banners">
          <AwayBanner />
          <StoppedBanner />
        </div>
        <main id="content" tabIndex={-1}>
          {children}
        </main>
      </div>
      {shortcuts.open}
    </div>
  );
}

function MenuItem({ page, isCurrent }: { page: (typeof PAGES)[number]; isCurrent: boolean }) {
  const may = useMay(page.role ?? "viewer", { everybody: page.everybody ?? false });
  if (!may || page.Icon === undefined) return null;
  return (
    <li>
      <Link href={page.path} aria-current={isCurrent ? "page" : undefined}>
        <page.Icon aria-hidden="true" />
        {page.label}
      </Link>
    </li>
  );
}

function Who() {
  const me = useMe();
  return (
    <div className="who">
      {me !== undefined && (
        <p>
          <strong title={me.subject}>{me.subject}</strong>
          <span className="muted">{words.roleOf(me.role, me.tenant)}</span>
        </p>
      )}
      <Button
        kind="quiet"
        icon={<LogOut aria-hidden="true" />}
        onClick={signOut}
        aria-label={words.signOut}
        title={words.signOut}
      />
    </div>
  );
}

/** The search box, which finds a job by its id, or jobs by a part of their error, their task or their correlation id. */
function JobSearch() {
  const [, navigate] = useLocation();
  const [text, setText] = useState("");
  function submit(event: FormEvent): void {
    event.preventDefault();
    const asked = text.trim();
    if (asked === "") return;
    navigate(/^\d+$/.test(asked) ? `/jobs/${asked}` : `/jobs?q=${encodeURIComponent(asked)}`);
    setText("");
  }
  return (
    <form className="search" role="search" onSubmit={submit}>
      <Search aria-hidden="true" />
      <input
        id="search"
        type="search"
        aria-label={words.findJob}
        placeholder={words.searchExample}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
    </form>
  );
}

function ZoneSwitch() {
  const { zone } = usePreferences();
  return (
    <Button
      kind="quiet"
      className="in-settings-too"
      title={zone === "utc" ? words.showLocal : words.showUtc}
      onClick={() => choose({ zone: zone === "utc" ? "local" : "utc" })}
    >
      {zone === "utc" ? words.utc : words.local}
    </Button>
  );
}

const THEMES = { system: "light", light: "dark", dark: "system" } as const;

function ThemeSwitch() {
  const { theme } = usePreferences();
  const Icon = theme === "system" ? Monitor : theme === "light" ? Sun : Moon;
  return (
    <Button
      kind="quiet"
      className="in-settings-too"
      icon={<Icon aria-hidden="true" />}
      aria-label={words.changeTheme(theme, THEMES[theme])}
      title={words.theme(theme)}
      onClick={() => choose({ theme: THEMES[theme] })}
    />
  );
}
