import type { ButtonHTMLAttributes, ReactNode } from "react";

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** `primary` for the main action of a form, `danger` for actions that cannot be undone, `quiet` in tables and tool bars. */
  kind?: "primary" | "danger" | "quiet" | "plain";
  icon?: ReactNode;
  /** The key that presses the button from anywhere on its page: a lowercase letter. */
  shortcut?: string;
  /** Whether the button's action is in progress. The button shows this and cannot be pressed again. */
  busy?: boolean;
}

export function Button({
  kind = "plain",
  icon,
  shortcut,
  busy = false,
  children,
  disabled,
  type = "button",
  className = "",
  ...rest
}: ButtonProps) {
  return (
    <button
      {...rest}
      type={type}
      className={`button ${className}`}
      data-kind={kind}
      disabled={disabled === true || busy}
      aria-busy={busy}
      aria-keyshortcuts={shortcut}
    >
      {icon}
      {children}
    </button>
  );
}
