import { X } from "lucide-react";
import { type FormEvent, type ReactNode, useEffect, useId, useRef } from "react";
import { Button, type ButtonProps } from "./button.tsx";
import { Failure } from "./notice.tsx";

export interface DialogProps {
  title: string;
  onClose: () => void;
  children: ReactNode;
  /** Its width: a form's, or as much as there is. */
  size?: "form" | "wide";
}

/** A modal dialog: the browser keeps the focus in it, gives it back, and closes it with Escape. Render it while it is open. */
export function Dialog({ title, onClose, children, size = "form" }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = element.current;
    if (dialog?.open === false) {
      dialog.showModal();
      // What is to be filled in comes first, and not the way out.
      dialog.querySelector<HTMLElement>(".dialog-body :is(input, select, textarea)")?.focus();
    }
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={element} className="dialog" data-size={size} aria-labelledby={heading} onCancel={onClose} onClose={onClose}>
      <header>
        <h2 id={heading}>{title}</h2>
        <Button kind="quiet" aria-label="Close" icon={<X aria-hidden="true" />} onClick={onClose} />
      </header>
      {children}
    </dialog>
  );
}

/** A dialog with a form: one thing to do, what went wrong with it, and a way out. */
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
}: DialogProps & {
  /** What the button says: the verb of what will be done. */
  submit: string;
  kind?: ButtonProps["kind"];
  onSubmit: () => void;
  busy: boolean;
  error: unknown;
  disabled?: boolean;
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
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind={kind} busy={busy} disabled={disabled}>
            {submit}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
