/** The API page's entry. */
/// <reference lib="dom" />
import { render } from "preact";
import { ApiPage } from "./docs/api_page.tsx";

const response = await fetch("/openapi.json");
render(<ApiPage document={await response.json()} />, document.body);
