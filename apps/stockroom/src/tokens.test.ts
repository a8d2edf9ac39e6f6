import { expect, test } from 'vitest'

import { TokenOffice } from './tokens.ts'

const ana = { id: 'ana', name: 'Ana' }

function requestWith(token: string): Request {
  return new Request('http://localhost/', { headers: { authorization: `Bearer ${token}` } })
}

test('a token speaks for its person until it expires', () => {
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
  const [body = '', signature = ''] = token.split('.')
  const otherBody = Buffer.from(JSON.stringify({ sub: 'ben', exp: 1e15 })).toString('base64url')
  expect(office.authenticate(new Request('http://localhost/'))).toBeNull()
  expect(office.authenticate(requestWith(`${otherBody}.${signature}`))).toBeNull()
  expect(office.authenticate(requestWith(`${body}.`))).toBeNull()
  expect(office.authenticate(requestWith(new TokenOffice().issue(ana)))).toBeNull()
})
