import { Page } from "../../ui/page.tsx";

export default function WorkersPage() {
  return <Page title="Workers">TO BE BUILT</Page>;
}
