// The words of the API and of the socket, named from the types generated out of the server's own schema (`npm run types`).

import type { components } from "./schema";

type Words = components["schemas"];

export type Activity = Words["Activity"];
export type AgentLine = Words["AgentLine"];
export type Availability = Words["Availability"];
export type Candidate = Words["Candidate"];
export type Choices = Words["Choices"];
export type CustomerProfile = Words["CustomerProfile"];
export type DispositionChoice = Words["DispositionChoice"];
export type DraftKept = Words["DraftKept"];
export type MatchKind = Words["MatchKind"];
export type Me = Words["Me"];
export type PastContact = Words["PastContact"];
export type PbxLink = Words["PbxLink"];
export type Pop = Words["Pop"];
export type PopPhase = Words["PopPhase"];
export type QueueLine = Words["QueueLine"];
export type WaitingLine = Words["WaitingLine"];

export type FromServer = Words["ServerMessage"];
export type ToServer = Words["ClientMessage"];
export type Action = Words["Do"]["action"];
export type SignedIn = Words["WhoIAm"];
export type Problem = Words["Problem"];
