import { X } from "lucide-react";
import { type FormEvent, type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { focusKeeper } from "./focus-keeper.ts";
import { Button, type ButtonProps } from "./button.tsx";
import { Failure } from "./notice.tsx";
import { common } from "./words.ts";

export interface DialogProps {
  title: string;
  onClose: () => void;
  children: ReactNode;
  /** The width of the dialog: suitable for a form, or all available space. */
  size?: "form" | "wide";
}

/**
 * A modal dialog. The browser keeps the focus inside it and closes it on Escape; the focus then returns to the element that opened it. Render it only
 * while it is open.
 */
export function Dialog({ title, onClose, children, size = "form" }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useLayoutEffect(() => {
    const dialog = element.current;
    const giveBack = focusKeeper();
    if (dialog?.open === false) {
      dialog.showModal();
      // The focus goes to the first field, not to the close button.
      dialog.querySelector<HTMLElement>(".dialog-body :is(input, select, textarea)")?.focus();
    }
    return () => {
      dialog?.close();
      giveBack();
    };
  }, []);
  return (
    <dialog ref={element} className="dialog" data-size={size} aria-labelledby={heading} onCancel={onClose} onClose={onClose}>
      <header>
        <h2 id={heading}>{title}</h2>
        <Button kind="quiet" aria-label={common.close} icon={<X aria-hidden="true" />} onClick={onClose} />
      </header>
      {children}
    </dialog>
  );
}

/** A dialog with a form: one action, its error, and a button that closes it. */
export function FormDialog({
  title,
  onClose,
  children,
  submit,
  kind = "primary",
  onSubmit,
  busy,
  error,
  disabled = false,
  size = "form",
  dismiss = common.cancel,
}: DialogProps & {
  /** The button's label: the verb of the action. */
  submit: string;
  kind?: ButtonProps["kind"];
  onSubmit: () => void;
  busy: boolean;
  error: unknown;
  disabled?: boolean;
  /** The label of the button that closes it, where "Cancel" would be ambiguous. */
  dismiss?: string;
}) {
  return (
    <Dialog title={title} onClose={onClose} size={size}>
      <form
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          onSubmit();
        }}
      >
        <div className="dialog-body">{children}</div>
        {error !== null && error !== undefined && <Failure error={error} />}
        <footer>
          <Button onClick={onClose}>{dismiss}</Button>
          <Button type="submit" kind={kind} busy={busy} disabled={disabled}>
            {submit}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
