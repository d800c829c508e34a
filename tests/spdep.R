# What R spdep makes of the maps in a folder.
#
# Rscript spdep.R FOLDER reads values_<map>.csv (value, flag, events, size; a row per area) and
# weights_<map>.csv (i, j, w; areas counted from 1), and writes found_<map>.csv, a row per area.

suppressPackageStartupMessages(library(spdep))
invisible(set.ZeroPolicyOption(TRUE))
quiet <- function(found) suppressMessages(suppressWarnings(found))
folder <- commandArgs(trailingOnly = TRUE)[1]

as_listw <- function(pairs, n, style, star = FALSE) {
  if (star) {
    own <- aggregate(w ~ i, pairs, max)
    pairs <- rbind(pairs, data.frame(i = own$i, j = own$i, w = own$w))
  }
  pairs <- pairs[order(pairs$i, pairs$j), ]
  rows <- split(pairs, factor(pairs$i, levels = seq_len(n)))
  near <- lapply(rows, function(row) if (nrow(row) > 0) as.integer(row$j) else 0L)
  attributes(near) <- list(class = "nb", region.id = as.character(seq_len(n)))
  if (star) attr(near, "self.included") <- TRUE
  weight <- lapply(rows, function(row) if (nrow(row) > 0) row$w else NULL)
  names(weight) <- NULL
  quiet(nb2listw(near, glist = weight, style = style, zero.policy = TRUE))
}

for (path in Sys.glob(file.path(folder, "values_*.csv"))) {
  table <- read.csv(path)
  pairs <- read.csv(sub("values_", "weights_", path))
  n <- nrow(table)
  given <- as_listw(pairs, n, "B")
  rows <- as_listw(pairs, n, "W")
  plain <- as_listw(transform(pairs, w = 1), n, "B")
  star <- as_listw(pairs, n, "B", star = TRUE)
  x <- table$value

  moran <- localmoran(x, rows, mlvar = FALSE)
  moran_n <- localmoran(x, rows, mlvar = TRUE)
  total <- localmoran(x, rows, mlvar = TRUE, conditional = FALSE)
  drawn <- localmoran_perm(x, rows, nsim = 4999, mlvar = FALSE, iseed = 1)
  g <- localG(x, given, return_internals = TRUE)
  g_star <- localG(x, star, return_internals = TRUE)
  g_rows <- localG(x, rows)
  flag <- factor(table$flag, levels = c(0, 1))
  joins <- quiet(local_joincount_uni(flag, "1", plain, nsim = 19, iseed = 1))
  eb <- quiet(EBImoran.mc(table$events, table$size, rows, nsim = 1, zero.policy = TRUE))

  found <- data.frame(
    moran = moran[, "Ii"], mean = moran_n[, "E.Ii"], variance = moran_n[, "Var.Ii"], z = moran_n[, "Z.Ii"],
    z_mixed = moran[, "Z.Ii"], total_mean = total[, "E.Ii"], total_variance = total[, "Var.Ii"],
    drawn_variance = drawn[, "Var.Ii"], drawn_p = drawn[, "Pr(z != E(Ii)) Sim"],
    g = attr(g, "internals")[, 1], g_z = as.numeric(g), g_rows_z = as.numeric(g_rows),
    g_star = attr(g_star, "internals")[, 1], g_star_z = as.numeric(g_star),
    geary = as.numeric(localC(x, given)), geary_rows = as.numeric(localC(x, rows)),
    joins = joins[, "BB"], eb = eb$z
  )
  write.csv(found, sub("values_", "found_", path), row.names = FALSE)
}
cat(as.character(packageVersion("spdep")))
