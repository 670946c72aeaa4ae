import { useReach } from "../api/reach.ts";
import { Loading } from "../components/notice.tsx";
import { words } from "./words.ts";

/** Shown while the code of a page is being loaded. If the server is unreachable, it says that the page opens when the server is back. */
export function PageLoading() {
  const { isAway } = useReach();
  return (
    <>
      {isAway && <p className="muted">{words.pageNotLoaded}</p>}
      <Loading label={words.loadingPage} />
    </>
  );
}
