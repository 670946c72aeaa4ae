import { Page } from "../../ui/page.tsx";

export default function TaskPage() {
  return <Page title="Task">TO BE BUILT</Page>;
}
