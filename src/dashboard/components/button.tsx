import type { ButtonHTMLAttributes, ReactNode } from "react";

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** `primary` for the one thing a form does, `danger` for what cannot be taken back, `quiet` in tables and tool bars. */
  kind?: "primary" | "danger" | "quiet" | "plain";
  icon?: ReactNode;
  /** While what it started has not ended: it says so and cannot be pressed again. */
  busy?: boolean;
}

export function Button({
  kind = "plain",
  icon,
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
    >
      {icon}
      {children}
    </button>
  );
}
