import { type ReactNode, useEffect, useLayoutEffect, useRef } from "react";
import { setTitle } from "./title.ts";

/** A page: its heading, its actions and its content. The heading is also the tab's title, and receives focus when the page opens. */
export function Page({
  title,
  lead,
  actions,
  children,
}: {
  title: string;
  lead?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => setTitle(title), [title]);
  useLayoutEffect(() => {
    // A screen reader starts at the heading. A dialog that opens with the page keeps the focus.
    if (document.querySelector("dialog[open]") === null) heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <div className="page">
      <header className="page-header">
        <div>
          <h1 ref={heading} tabIndex={-1} dir="auto">
            {title}
          </h1>
          {lead !== undefined && <p className="lead">{lead}</p>}
        </div>
        {actions !== undefined && <div className="page-actions">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

/** A section of a page with its own heading. */
export function Card({
  title,
  actions,
  children,
  className = "",
}: {
  title?: string;
  actions?: ReactNode;
  children: ReactNode;
  className?: string;
}) {
  return (
    <section className={`card ${className}`} aria-label={title}>
      {title !== undefined && (
        <header>
          <h2>{title}</h2>
          {actions}
        </header>
      )}
      {children}
    </section>
  );
}

/** A number with its label. `tone` colors the number if it signals a problem. */
export function Figure({
  label,
  value,
  detail,
  tone,
}: {
  label: string;
  value: ReactNode;
  detail?: ReactNode;
  tone?: "bad" | "warn" | undefined;
}) {
  return (
    <div className="figure" data-tone={tone}>
      <dt>{label}</dt>
      <dd>{value}</dd>
      {detail !== undefined && <dd className="figure-detail">{detail}</dd>}
    </div>
  );
}
