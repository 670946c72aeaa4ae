import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Router } from "wouter";
import { App } from "./app.tsx";
import { applyPreferences } from "./components/preferences.ts";
import { PAGES } from "./router/pages.ts";
import { useRawLocation } from "./router/use-raw-location.ts";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/layout.css";

applyPreferences();

const base = new URL(document.baseURI).pathname.replace(/\/$/, "");

// The code of the first page is loaded before anything is rendered. If loading fails, the page itself reports it.
await PAGES.find(({ path }) => base + path === location.pathname)
  ?.Component.preload()
  .catch(() => undefined);

createRoot(document.querySelector("#root")!).render(
  <StrictMode>
    <Router base={base} hook={useRawLocation}>
      <App />
    </Router>
  </StrictMode>,
);
