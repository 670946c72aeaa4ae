import { Page } from "../../ui/page.tsx";

export default function JobsPage() {
  return <Page title="Jobs">TO BE BUILT</Page>;
}
