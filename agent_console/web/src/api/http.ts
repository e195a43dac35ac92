// The few HTTP calls the pages make; everything live goes over the socket.

import type { SignedIn } from "./words";

/** Why signing in failed, in words for the person. */
export class SignInError extends Error {}

/** Who is signed in in this browser, or null. Throws when the server can't be reached. */
export async function whoAmI(): Promise<SignedIn | null> {
  const reply = await fetch("/api/me", { cache: "no-store" });
  if (reply.status === 401 || reply.status === 403) return null;
  if (!reply.ok) throw new Error(`The server answered ${reply.status}.`);
  return (await reply.json()) as SignedIn;
}

/** Sign in. Throws SignInError. */
export async function signIn(name: string, password: string): Promise<SignedIn> {
  let reply: Response;
  try {
    reply = await post("/api/sign-in", { name, password });
  } catch {
    throw new SignInError("The server can't be reached. Check the network and try again.");
  }
  if (reply.ok) return (await reply.json()) as SignedIn;
  if (reply.status === 429) throw new SignInError("Too many tries. Wait a minute, then try again.");
  if (reply.status === 401 || reply.status === 403 || reply.status === 422) {
    throw new SignInError("Name and password don't match. Check both and try again.");
  }
  throw new SignInError(`The server could not sign you in (${reply.status}). Tell your supervisor if it goes on.`);
}

/** End the session. */
export async function signOut(): Promise<void> {
  await post("/api/sign-out", {});
}

function post(path: string, body: unknown): Promise<Response> {
  return fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}
