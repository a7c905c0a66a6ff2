import { defineConfig } from "vite";

export default defineConfig({
  // The page itself is served at /, everything it loads below /page/.
  base: "/page/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../aideator_gateway/http/static",
    emptyOutDir: true,
    target: "es2023",
    // Inlined files would need data: in the Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { "/runs": "http://127.0.0.1:8000", "/experiments": "http://127.0.0.1:8000", "/openapi.json": "http://127.0.0.1:8000" } },
});
