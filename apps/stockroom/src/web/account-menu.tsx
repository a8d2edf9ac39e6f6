import { ActionIcon, Avatar, Menu, Text, useComputedColorScheme, useMantineColorScheme } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import type { ReactElement } from 'react'

import { people } from '../warehouse/people.ts'
import { IconLogout, IconMoon, IconPlane, IconSun, IconTool } from './icons.ts'
import { useSession } from './session.tsx'
import { SignOut } from './sign-out.tsx'
import { useNetwork } from './use-network.ts'

/** Who is signed in, and what concerns the device rather than the warehouse. */
export function AccountMenu({ onInspect }: { readonly onInspect: () => void }): ReactElement {
  const { person, device } = useSession()
  const { conditions } = device
  const { isOffline } = useNetwork()
  const { setColorScheme } = useMantineColorScheme()
  const isDark = useComputedColorScheme('light') === 'dark'
  const [isLeaving, leaving] = useDisclosure()
  const { name, role, color } = people[person]
  // What is seen is part of what it is called: WCAG 2.5.3.
  const initials = name.replace(/(\w)\w* ?/g, '$1')
  return (
    <>
      <Menu position="bottom-end" width={250} shadow="md">
        <Menu.Target>
          <ActionIcon variant="transparent" size={34} aria-label={`Account of ${name}, ${initials}`}>
            <Avatar name={name} color={color} size={34} radius="xl" />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>
            <Text fw={600} size="sm" c="var(--mantine-color-text)">
              {name}
            </Text>
            {role}
          </Menu.Label>
          <Menu.Divider />
          <Menu.Item
            leftSection={<IconPlane size={17} />}
            onClick={() => conditions.set({ isOffline: !isOffline })}
          >
            {isOffline ? 'Leave airplane mode' : 'Airplane mode'}
          </Menu.Item>
          <Menu.Item
            leftSection={isDark ? <IconSun size={17} /> : <IconMoon size={17} />}
            onClick={() => setColorScheme(isDark ? 'light' : 'dark')}
          >
            {isDark ? 'Light' : 'Dark'}
          </Menu.Item>
          <Menu.Item leftSection={<IconTool size={17} />} onClick={onInspect}>
            Inspector
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item leftSection={<IconLogout size={17} />} onClick={leaving.open}>
            Sign out
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {isLeaving ? <SignOut onStay={leaving.close} /> : null}
    </>
  )
}
