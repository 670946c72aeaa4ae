import { useReach } from "../api/reach.ts";
import { Loading } from "../components/notice.tsx";
import { words } from "./words.ts";

/** While a page's code is loaded. Without the server it says so: the page opens when the server is back. */
export function PageLoading() {
  const { isAway } = useReach();
  return (
    <>
      {isAway && <p className="muted">{words.pageNotLoaded}</p>}
      <Loading label={words.loadingPage} />
    </>
  );
}
