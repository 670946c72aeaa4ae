import { Page } from "../../ui/page.tsx";

export default function FailedPage() {
  return <Page title="Failed jobs">TO BE BUILT</Page>;
}
