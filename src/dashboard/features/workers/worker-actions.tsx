import { useMutation, useQueryClient } from "@tanstack/react-query";
import { CirclePause, CirclePlay, PowerOff } from "lucide-react";
import { useState } from "react";
import { useMay } from "../../api/me.ts";
import type { Worker } from "../../api/monitoring.ts";
import { rest } from "../../api/request.ts";
import { Button } from "../../components/button.tsx";
import { FormDialog } from "../../components/dialog.tsx";
import { tell } from "../../components/toasts.tsx";
import { words } from "./words.ts";

type Change = "quiet" | "drain" | "resume";

function useWorkerChange(worker: Worker) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (change: Change) => rest("POST", `/workers/${encodeURIComponent(worker.id)}/${change}`),
    onSuccess: async (_answer, change) => {
      tell(words.changed[change](worker.name));
      await client.invalidateQueries({ queryKey: ["workers"] });
    },
  });
}

/** Buttons that quiet, drain and resume a worker. In lists they are icons, with labels for screen readers. */
export function WorkerButtons({ worker, quiet = false }: { worker: Worker; quiet?: boolean }) {
  const may = useMay("operator", { everybody: true });
  const [asked, setAsked] = useState<Exclude<Change, "resume">>();
  const change = useWorkerChange(worker);
  if (!may) return null;
  const kind = quiet ? "quiet" : "plain";
  const label = (verb: Change): string => words.changeOf(words.verbs[verb], worker.name);
  const close = (): void => setAsked(undefined);
  return (
    <span className="tool-bar">
      {worker.state === "active" ? (
        <Button
          kind={kind}
          icon={<CirclePause aria-hidden="true" />}
          aria-label={label("quiet")}
          title={words.verbs.quiet}
          onClick={() => setAsked("quiet")}
        >
          {quiet ? null : words.verbs.quiet}
        </Button>
      ) : (
        <Button
          kind={kind}
          icon={<CirclePlay aria-hidden="true" />}
          aria-label={label("resume")}
          title={words.verbs.resume}
          busy={change.isPending}
          onClick={() => change.mutate("resume", { onError: (error) => tell(error.message, { kind: "error" }) })}
        >
          {quiet ? null : words.verbs.resume}
        </Button>
      )}
      {worker.state !== "draining" && (
        <Button
          kind={kind}
          icon={<PowerOff aria-hidden="true" />}
          aria-label={label("drain")}
          title={words.verbs.drain}
          onClick={() => setAsked("drain")}
        >
          {quiet ? null : words.verbs.drain}
        </Button>
      )}
      {asked !== undefined && (
        <FormDialog
          title={words.changeQuestion(words.verbs[asked], worker.name)}
          submit={words.verbs[asked]}
          onClose={close}
          onSubmit={() => change.mutate(asked, { onSuccess: close })}
          busy={change.isPending}
          error={change.error}
        >
          <p>{words.changeExplained[asked](worker.running.length)}</p>
        </FormDialog>
      )}
    </span>
  );
}
