// The live page's scripts are parts of one document: what one of them defines others use.

import js from "@eslint/js";

export default [
  js.configs.recommended,
  {
    files: ["sockd/**/*.js"],
    languageOptions: {
      ecmaVersion: 2022,
      sourceType: "script",
      parserOptions: { ecmaFeatures: { impliedStrict: true } },
    },
    rules: {
      // The type checker sees all scripts at once, and what the browser defines.
      "no-undef": "off",
      // tests/test_page.py looks for what no script uses.
      "no-unused-vars": ["error", { vars: "local" }],
    },
  },
];
