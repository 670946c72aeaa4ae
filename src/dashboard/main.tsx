import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Router } from "wouter";
import { App } from "./app.tsx";
import { applyTheme } from "./components/preferences.ts";
import { PAGES } from "./router/pages.ts";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/layout.css";

applyTheme();

const base = new URL(document.baseURI).pathname.replace(/\/$/, "");

// The page of the address is there before anything is drawn; what does not come is told where it is shown.
await PAGES.find(({ path }) => base + path === location.pathname)
  ?.Component.preload()
  .catch(() => undefined);

createRoot(document.querySelector("#root")!).render(
  <StrictMode>
    <Router base={base}>
      <App />
    </Router>
  </StrictMode>,
);
