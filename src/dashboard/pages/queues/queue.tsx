import { Page } from "../../ui/page.tsx";

export default function QueuePage() {
  return <Page title="Queue">TO BE BUILT</Page>;
}
