import { Page } from "../../ui/page.tsx";

export default function WorkflowsPage() {
  return <Page title="Workflows">TO BE BUILT</Page>;
}
