/** Names for what the API's own description calls its bodies. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Run = Schemas["Run"];
export type Variation = Schemas["Variation"];
export type Condition = Variation["condition"];
export type Usage = Schemas["Usage"];
export type Status = Schemas["Status"];
export type PatchStat = Schemas["PatchStat"];
export type Readiness = Schemas["Readiness"];
export type ProblemDetails = Schemas["ProblemDetails"];
export type NewRun = Schemas["NewRun"];
export type ExperimentSummary = Schemas["ExperimentSummary"];
export type Message = Schemas["Message"];
export type Completion = Schemas["Completion"];
export type Failure = Schemas["Failure"];
export type Checked = Schemas["Checked"];
export type CheckResult = NonNullable<Variation["check"]>;
export type End = Schemas["End"];
export type Judging = Schemas["Judging"];
export type JudgingPair = Schemas["JudgingPair"];
export type Verdict = Schemas["NewJudgment"]["verdict"];

export const hasEnded = (status: Status): boolean => status !== "pending" && status !== "running";
