/** Asks for the server's token, once a tab. */
import { useEffect, useRef, useState } from "preact/hooks";
import { setToken, token } from "../../api/token";
import "./style.css";

export function AskToken() {
  const [value, setValue] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const refused = token.value !== null;
  // The question comes again where a token was wrong, and so does the focus.
  useEffect(() => field.current?.focus(), []);
  return (
    <form
      class="ask-token"
      onSubmit={(event) => {
        event.preventDefault();
        if (value.trim()) setToken(value.trim());
      }}
    >
      <h1>This server asks for a token</h1>
      <p class="soft">
        It is the value of <code>AIDEATOR_TOKEN</code> that the server was started with. It stays in
        this tab and is forgotten when you close it.
      </p>
      <label>
        Token
        <input
          ref={field}
          type="password"
          autocomplete="off"
          aria-invalid={refused ? "true" : undefined}
          aria-describedby={refused ? "token-refused" : undefined}
          value={value}
          onInput={(event) => setValue(event.currentTarget.value)}
        />
      </label>
      {refused && (
        <p class="bad" role="alert" id="token-refused">
          The server did not take that token.
        </p>
      )}
      <button class="primary">Go on</button>
    </form>
  );
}
