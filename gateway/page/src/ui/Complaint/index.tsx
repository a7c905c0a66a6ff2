/** Stays in sight, wherever the page is scrolled to, until it is closed. */
import { complaint } from "../announce";
import "./style.css";

export function Complaint() {
  const text = complaint.value;
  return (
    <div role="alert">
      {text !== null && (
        <p class="complaint notice bad">
          <span>{text}</span>
          <button class="quiet" onClick={() => (complaint.value = null)}>
            Close
          </button>
        </p>
      )}
    </div>
  );
}
