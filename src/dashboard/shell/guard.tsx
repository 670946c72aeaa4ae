import { Component, type ReactNode } from "react";
import { Failure } from "../components/notice.tsx";
import { words } from "./words.ts";

/** Keeps the menu alive when a page throws. */
export class Guard extends Component<{ children: ReactNode }, { error: Error | undefined }> {
  override state: { error: Error | undefined } = { error: undefined };

  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }

  override render(): ReactNode {
    if (this.state.error === undefined) return this.props.children;
    // The code of a page that a newer version of the server no longer has.
    if (/dynamically imported module|module script/.test(this.state.error.message)) {
      return <Failure error={new Error(words.newVersion)} retry={() => location.reload()} />;
    }
    return (
      <Failure error={new Error(words.pageFailed(this.state.error.message))} retry={() => this.setState({ error: undefined })} />
    );
  }
}
