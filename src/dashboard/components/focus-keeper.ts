const FOCUSABLE = "button:not(:disabled), a[href], input:not(:disabled), select:not(:disabled), [tabindex='0']";
/** The outermost element in which the replacement of a removed control is searched for. */
const PLACE = ["tr", "li", "header", "form", "[role=row]"].join();

/**
 * Remembers the focused element and returns a function that restores the focus. If the element was replaced, for example because its row was rendered
 * again, the focus goes to the first control in the same cell, row or list item, or otherwise to the page's heading.
 */
export function focusKeeper(): () => void {
  const opener = document.activeElement;
  const places: Element[] = [];
  for (let place = opener?.parentElement ?? null; place !== null && place.tagName !== "MAIN"; place = place.parentElement) {
    places.push(place);
    if (place.matches(PLACE)) break;
  }
  return () => {
    const place = places.find((each) => each.isConnected);
    const target =
      opener instanceof HTMLElement && opener.isConnected && opener !== document.body && !opener.matches(":disabled")
        ? opener
        : (place?.querySelector<HTMLElement>(FOCUSABLE) ?? document.querySelector<HTMLElement>("h1"));
    target?.focus({ preventScroll: true });
  };
}
