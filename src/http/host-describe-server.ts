/** com.atproto.server.describeServer of a host */

import { mainSchema } from '@atcute/atproto/types/server/describeServer'

import type { Endpoint } from './endpoint.ts'
import { jsonAnswer } from './xrpc-error.ts'

/** What a host says of itself; relays ask for it before they subscribe. */
export interface ServerDescription {
  /** `did:web:` and the host's name. */
  readonly did: string
  /** Suffixes of handles that accounts may have here, each with its leading dot. */
  readonly availableUserDomains: readonly string[]
  readonly inviteCodeRequired?: boolean
  readonly phoneVerificationRequired?: boolean
  /** Largest blob, bytes. */
  readonly blobUploadLimit?: number
  readonly links?: { readonly privacyPolicy?: string; readonly termsOfService?: string }
  readonly contact?: { readonly email?: string }
}

/** The description, as it was given. */
export function hostDescribeServer(description: ServerDescription): Endpoint {
  return { nsid: mainSchema.nsid, method: 'GET', answer: () => jsonAnswer(description) }
}
