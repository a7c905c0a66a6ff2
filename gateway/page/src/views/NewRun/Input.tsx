/** One field of the form, whatever its kind, with what it is for and what is wrong with it. */
import type { Offer, Offers } from "./offers";
import type { Field, Value } from "./schema";

interface Props {
  field: Field;
  /** As the API names it in an error: `conditions.0.temperature`. */
  path: string;
  value: Value;
  errors: ReadonlyMap<string, string>;
  /** What it is for stands in the empty field, where there is little room. */
  compact?: boolean;
  offers?: Offers;
  onChange(value: Value): void;
}

export const idOf = (path: string): string => `field-${path.replaceAll(".", "-")}`;

export function Input(props: Props) {
  const { field, path, value, errors, onChange } = props;
  if (field.kind === "group") return <Group {...props} />;
  const offer = props.offers?.[field.name];
  const id = idOf(path);
  const error = errors.get(path);
  const described = [error && `${id}-error`, offer?.warning && `${id}-warning`, field.description && `${id}-help`].filter(Boolean).join(" ");
  const common = {
    id,
    name: path,
    "aria-invalid": error ? ("true" as const) : undefined,
    "aria-describedby": described || undefined,
  };
  const placeholder = offer?.standard ?? (field.placeholder || (props.compact ? field.description : ""));
  const text = value === undefined || value === null ? "" : String(value);
  const change = (event: { currentTarget: { value: string } }): void => onChange(event.currentTarget.value);
  return (
    <div class={`field ${field.kind}`}>
      <label htmlFor={id}>
        {field.label}
        {field.required && <span class="soft"> (required)</span>}
      </label>
      {offer?.choices ? (
        <Choices common={common} offer={offer} value={text} onChange={change} />
      ) : field.kind === "choice" ? (
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
        <textarea {...common} placeholder={placeholder} class={field.kind === "json" || field.name === "check" ? "mono" : ""} rows={field.name === "prompt" ? 6 : 3} value={text} onInput={change} />
      ) : (
        <input
          {...common}
          type="text"
          placeholder={placeholder}
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
      {offer?.warning && <p class="warn help" id={`${id}-warning`}>{offer.warning}</p>}
      {field.description && (
        <p class={props.compact ? "hidden" : "soft help"} id={`${id}-help`}>
          {field.description}
        </p>
      )}
    </div>
  );
}

interface ChoicesProps {
  common: object;
  offer: Offer;
  value: string;
  onChange(event: { currentTarget: { value: string } }): void;
}

/** What the server has by name. A name that it does not have any more can still be seen. */
function Choices({ common, offer, value, onChange }: ChoicesProps) {
  const choices = offer.choices ?? [];
  const gone = value !== "" && !choices.some((choice) => choice.name === value);
  return (
    <select {...common} value={value} onChange={onChange}>
      <option value="">{offer.standard ?? "none"}</option>
      {gone && <option>{value}</option>}
      {choices.map((choice) => (
        <option key={choice.name} value={choice.name}>
          {choice.problem ? `${choice.name} (cannot be asked)` : choice.name}
        </option>
      ))}
    </select>
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
