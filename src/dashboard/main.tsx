import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Router } from "wouter";
import { App } from "./app.tsx";
import { applyTheme } from "./format/preferences.ts";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/layout.css";

applyTheme();

createRoot(document.querySelector("#root")!).render(
  <StrictMode>
    <Router base={new URL(document.baseURI).pathname.replace(/\/$/, "")}>
      <App />
    </Router>
  </StrictMode>,
);
