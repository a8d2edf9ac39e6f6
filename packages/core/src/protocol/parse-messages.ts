/**
 * Readers of everything that arrives over the network: valibot schemas for the messages of `messages.ts` and the
 * `parse…` functions built on them. What does not fit throws REQUEST_INVALID (server) or RESPONSE_INVALID (device)
 * with the path of the first mismatch. Unknown members are ignored, so that either side can be newer. Rules: WI-1 to WI-6.
 */
export {}
