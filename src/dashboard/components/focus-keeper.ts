const FOCUSABLE = "button:not(:disabled), a[href], input:not(:disabled), select:not(:disabled), [tabindex='0']";
/** Where the replacement of a control is looked for. */
const PLACE = ["tr", "li", "header", "form", "[role=row]"].join();

/**
 * Remembers the element with the focus; the function that it returns gives the focus back. If that element has been replaced, as in a row that was
 * rendered again, the focus goes to the first control in the same place: its cell, its row or its list item; else to the page's heading.
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
