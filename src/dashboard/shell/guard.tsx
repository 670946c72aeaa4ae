import { Component, type ReactNode } from "react";
import { Failure } from "../components/notice.tsx";
import { words } from "./words.ts";

/** Keeps the menu usable when a page throws an error. */
export class Guard extends Component<{ children: ReactNode }, { error: Error | undefined }> {
  override state: { error: Error | undefined } = { error: undefined };

  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }

  override render(): ReactNode {
    if (this.state.error === undefined) return this.props.children;
    // The server was updated and no longer has the code of this page.
    if (/dynamically imported module|module script/.test(this.state.error.message)) {
      return <Failure error={new Error(words.newVersion)} retry={() => location.reload()} />;
    }
    return (
      <Failure error={new Error(words.pageFailed(this.state.error.message))} retry={() => this.setState({ error: undefined })} />
    );
  }
}
