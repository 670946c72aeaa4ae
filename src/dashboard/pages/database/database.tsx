import { Page } from "../../ui/page.tsx";

export default function DatabasePage() {
  return <Page title="Database">TO BE BUILT</Page>;
}
