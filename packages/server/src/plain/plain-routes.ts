import type { User } from '../engine.ts'
import type { Answer } from '../http/answer.ts'
import type { HttpServices, Route, UserCall } from '../http/http-call.ts'
import { failedMessage, syncCollection } from './collection-sync.ts'
import { listRecords, readHistory, readRecord } from './read-records.ts'
import { restoreRecord } from './restore-record.ts'
import { writeRecord } from './write-record.ts'

const many = '/records/{collection}'
const one = '/records/{collection}/{id}'

/** Records over plain HTTP, for clients without an outbox, through the same apply path. Rules: PH-30 to PH-48. */
export function plainRoutes<U extends User>(services: HttpServices<U>): readonly Route<U>[] {
  const route = (
    method: Route['method'],
    pattern: string,
    handle: (services: HttpServices<U>, call: UserCall<U>) => Promise<Answer>,
  ): Route<U> => ({
    method,
    pattern,
    access: 'user',
    isPlain: true,
    admitted: method === 'GET' ? 'pull' : 'push',
    handle: (call) => handle(services, call),
  })
  return [
    route('GET', many, listRecords),
    route('POST', many, (_, call) => writeRecord(services, call, 'create')),
    route('GET', one, readRecord),
    route('PUT', one, (_, call) => writeRecord(services, call, 'put')),
    route('PATCH', one, (_, call) => writeRecord(services, call, 'update')),
    route('DELETE', one, (_, call) => writeRecord(services, call, 'delete')),
    route('GET', `${one}/history`, readHistory),
    route('POST', `${one}/restore`, restoreRecord),
    { ...route('POST', '/sync/{collection}', syncCollection), failedMessage },
  ]
}
