import { Avatar, Stack, Text, Title, UnstyledButton } from '@mantine/core'
import type { ReactElement } from 'react'

import { everybody, people, type PersonId } from '../warehouse/people.ts'

/** Who is it? A demo asks for no password; their database stays on this device when they leave. */
export function SignIn({ onChoose }: { readonly onChoose: (person: PersonId) => void }): ReactElement {
  return (
    <main className="signin">
      <Stack w="100%" maw={380} gap="lg">
        <Stack gap={6} align="center" ta="center">
          <img src="/icon.svg" alt="" width={56} height={56} />
          <Title order={1} size="h2">
            Stockroom
          </Title>
          <Text c="dimmed">The warehouse in your hand, with or without a network.</Text>
        </Stack>
        <Stack gap="xs">
          <Text fw={600} size="sm">
            Who is working?
          </Text>
          {everybody.map((id) => (
            <UnstyledButton key={id} className="person" onClick={() => onChoose(id)}>
              <Avatar name={people[id].name} color={people[id].color} radius="xl" />
              <span>
                <Text fw={600}>{people[id].name}</Text>
                <Text size="sm" c="dimmed">
                  {people[id].role}
                </Text>
              </span>
            </UnstyledButton>
          ))}
        </Stack>
      </Stack>
    </main>
  )
}
