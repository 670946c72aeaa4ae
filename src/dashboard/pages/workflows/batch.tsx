import { Page } from "../../ui/page.tsx";

export default function BatchPage() {
  return <Page title="Batch">TO BE BUILT</Page>;
}
