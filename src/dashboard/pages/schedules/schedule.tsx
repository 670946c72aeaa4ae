import { Page } from "../../ui/page.tsx";

export default function SchedulePage() {
  return <Page title="Schedule">TO BE BUILT</Page>;
}
