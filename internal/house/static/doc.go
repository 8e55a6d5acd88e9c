// Command static exits non-zero unless the ELF file it is given is statically linked.
package main
