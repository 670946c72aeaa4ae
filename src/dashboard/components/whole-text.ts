/** Adds a tooltip with the full text to truncated text when the pointer is over it. */
export function showWholeText({ target }: { target: EventTarget }): void {
  const element = target as HTMLElement;
  for (let cut: HTMLElement | null = element; cut !== null && cut !== element.ownerDocument.body; cut = cut.parentElement) {
    if (cut.title !== "") return;
    if (cut.scrollWidth <= cut.clientWidth || getComputedStyle(cut).textOverflow !== "ellipsis") continue;
    if (cut instanceof HTMLInputElement || cut instanceof HTMLSelectElement) return;
    cut.title = cut.innerText;
    return;
  }
}
