import { render } from "preact";
import "./theme.css";
import { App } from "./ui/Shell";

const root = document.getElementById("app");
if (root) render(<App />, root);
