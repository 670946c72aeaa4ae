import icon from "../icon.svg";
import troubledIcon from "../icon-trouble.svg";
import { common } from "./words.ts";

let page = "";
let trouble = 0;

/** Sets the name of the page in the tab's title. */
export function setTitle(title: string): void {
  page = title;
  show();
}

/** Shows the number of problems in the tab's title and a red dot on its icon, or neither if the number is 0. */
export function setTrouble(count: number): void {
  if (count === trouble) return;
  trouble = count;
  show();
}

function show(): void {
  document.title = common.tabTitle(page, trouble);
  const link = document.querySelector<HTMLLinkElement>("link[rel=icon]");
  const href = trouble === 0 ? icon : troubledIcon;
  if (link !== null && link.getAttribute("href") !== href) link.href = href;
}
