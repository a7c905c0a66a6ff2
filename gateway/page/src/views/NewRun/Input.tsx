/** One field of the form, whatever its kind, with what it is for and what is wrong with it. */
import type { Field, Value } from "./schema";

interface Props {
  field: Field;
  /** As the API names it in an error: `conditions.0.temperature`. */
  path: string;
  value: Value;
  errors: ReadonlyMap<string, string>;
  /** What it is for stands in the empty field, where there is little room. */
  compact?: boolean;
  onChange(value: Value): void;
}

export const idOf = (path: string): string => `field-${path.replaceAll(".", "-")}`;

export function Input(props: Props) {
  const { field, path, value, errors, onChange } = props;
  if (field.kind === "group") return <Group {...props} />;
  const id = idOf(path);
  const error = errors.get(path);
  const described = [field.description && `${id}-help`, error && `${id}-error`].filter(Boolean).join(" ");
  const common = {
    id,
    name: path,
    "aria-invalid": error ? ("true" as const) : undefined,
    "aria-describedby": described || undefined,
    placeholder: field.placeholder || (props.compact ? field.description : ""),
  };
  const text = value === undefined || value === null ? "" : String(value);
  const change = (event: { currentTarget: { value: string } }): void => onChange(event.currentTarget.value);
  return (
    <div class={`field ${field.kind}`}>
      <label htmlFor={id}>
        {field.label}
        {field.required && <span class="soft"> (required)</span>}
      </label>
      {field.kind === "choice" ? (
        <select {...common} value={text} onChange={change}>
          <option value="">{field.placeholder || "default"}</option>
          {field.choices.map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      ) : field.kind === "switch" ? (
        <input
          {...common}
          type="checkbox"
          checked={value === true}
          onChange={(event) => onChange(event.currentTarget.checked)}
        />
      ) : field.kind === "text" || field.kind === "json" ? (
        <textarea {...common} class={field.kind === "json" ? "mono" : ""} rows={field.name === "prompt" ? 6 : 3} value={text} onInput={change} />
      ) : (
        <input
          {...common}
          type="text"
          inputMode={field.kind === "number" ? (field.whole ? "numeric" : "decimal") : undefined}
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={change}
        />
      )}
      {error && (
        <p class="bad error" id={`${id}-error`}>
          {error}
        </p>
      )}
      {field.description && (
        <p class={props.compact ? "hidden" : "soft help"} id={`${id}-help`}>
          {field.description}
        </p>
      )}
    </div>
  );
}

function Group({ field, path, value, errors, onChange }: Props) {
  const values = (value ?? {}) as Record<string, Value>;
  const wrong = [...errors.keys()].some((name) => name === path || name.startsWith(`${path}.`));
  const filled = Object.values(values).filter((one) => one !== "" && one !== undefined).length;
  return (
    <details class="group" open={wrong || undefined}>
      <summary>
        {field.label}
        {filled > 0 && <span class="soft"> · {filled} set</span>}
      </summary>
      {field.description && <p class="soft help">{field.description}</p>}
      {errors.get(path) && <p class="bad error">{errors.get(path)}</p>}
      <div class="fields small">
        {field.fields.map((inner) => (
          <Input
            key={inner.name}
            field={inner}
            path={`${path}.${inner.name}`}
            value={values[inner.name]}
            errors={errors}
            onChange={(changed) => onChange({ ...values, [inner.name]: changed })}
          />
        ))}
      </div>
    </details>
  );
}
