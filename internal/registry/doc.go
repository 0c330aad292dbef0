// Package registry materialises the registry topic (D9) in memory: workspaces, keys, creators, campaigns, agreements, links,
// promo codes and placements, all their versions, for every service of the installation.
//
// What is valid is a function of the topic alone: records are applied in their order, and one that breaks a rule given the
// records before it is ignored by everybody. So two writers need no lock: each appends, reads until its own record, and sees
// who was first.
package registry
