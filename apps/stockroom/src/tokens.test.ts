import { expect, test } from 'vitest'

import { TokenOffice } from './tokens.ts'

const ana = { id: 'ana' }

function requestWith(token: string): Request {
  return new Request('http://localhost/', { headers: { authorization: `Bearer ${token}` } })
}

test('a token speaks for its user until it expires', () => {
  let now = 1_000
  const office = new TokenOffice(() => now)
  const request = requestWith(office.issue(ana, { lifetimeMs: 500 }))
  expect(office.authenticate(request)).toEqual(ana)
  now = 1_500
  expect(office.authenticate(request)).toBeNull()
})

test('a token can be ended after two more requests, and the next one is good again', () => {
  const office = new TokenOffice()
  const request = requestWith(office.issue(ana))
  office.endAfter(ana, 2)
  expect([1, 2, 3].map(() => office.authenticate(request)?.id)).toEqual(['ana', 'ana', undefined])
  expect(office.authenticate(requestWith(office.issue(ana)))).toEqual(ana)
})

test('no token, a changed one and one of another office speak for nobody', () => {
  const office = new TokenOffice()
  const token = office.issue(ana)
  expect(office.authenticate(new Request('http://localhost/'))).toBeNull()
  expect(office.authenticate(requestWith(token.replace('ana', 'ben')))).toBeNull()
  expect(office.authenticate(requestWith(token.slice(0, -1)))).toBeNull()
  expect(office.authenticate(requestWith(new TokenOffice().issue(ana)))).toBeNull()
})
